"""What filters would drop at other thresholds, from what was measured of every clip (`weighing.tune`)."""

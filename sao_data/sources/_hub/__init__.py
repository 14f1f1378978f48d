"""Audio datasets of the Hugging Face Hub: which files hold what."""

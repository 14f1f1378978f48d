"""What files say of themselves before they are decoded: container, declared lengths, tags about rights."""

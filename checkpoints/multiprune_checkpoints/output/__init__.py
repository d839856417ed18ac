"""What is written: to a temporary name, proved, renamed."""

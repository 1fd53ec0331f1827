"""What takes longer than a page may: verdict, estimates, map. Worked out once for each state."""

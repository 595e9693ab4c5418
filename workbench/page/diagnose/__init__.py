"""What a page may be diagnosed as: two opinions that check each other, and what each of them rests on."""

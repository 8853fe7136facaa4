"""Printed markers on the table, and how well they are found."""

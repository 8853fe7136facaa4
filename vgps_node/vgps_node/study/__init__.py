"""Studies: what is trained, what is played on the report seeds, and the pages made of it."""

"""The page that every verdict leaves: answer, pictures, table, story."""

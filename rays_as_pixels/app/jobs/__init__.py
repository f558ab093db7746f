"""Long work that outlives the page that asked for it. Knows no user interface and no network."""

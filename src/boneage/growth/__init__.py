"""Growth references: how far a bone age is ahead or behind, and the adult height it points to."""

"""Background steps that are broken on purpose: a module for each kind of fault."""

"""From features to a run record: cards, protocols, samples, estimates."""

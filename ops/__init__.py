"""How the studio runs: setting up, the sample, pictures for the documents."""

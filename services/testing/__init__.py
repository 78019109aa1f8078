"""The test kit of the teams whose systems meet kouan on its topics: a pytest plugin and what its fixtures hand out."""

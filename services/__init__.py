"""Who reacts: one package a service, and the kit they all stand on."""

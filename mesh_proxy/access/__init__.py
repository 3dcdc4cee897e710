"""Who may call: rules, tokens and the keys they are signed with."""

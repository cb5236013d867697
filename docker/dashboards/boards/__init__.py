"""The three dashboards: what each shows, and the parts that they are made of."""

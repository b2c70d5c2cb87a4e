"""Done jobs run again beside their results, compared with their records; publishes nothing."""

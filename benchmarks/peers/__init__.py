"""The jobs of the benchmark in other stream processors, each as its documentation shows; their processes start from here."""

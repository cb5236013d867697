module tokenproxy/benchmarks/traffic

go 1.22

module github.com/dejpha/dejpha

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/goccy/go-yaml v1.19.2
	golang.org/x/mod v0.42.0
)

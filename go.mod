module github.com/dejpha/dejpha

go 1.26

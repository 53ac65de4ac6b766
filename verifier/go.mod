module github.com/dejpha/dejpha/verifier

go 1.26

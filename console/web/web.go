// Package web holds the built page of the console: dist is made by Vite (`make build`) and embedded here.
//
// In: nothing. Out: a file system. Called by console only.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files of the page; index.html is missing when the page was not built.
func Files() (fs.FS, error) { return fs.Sub(dist, "dist") }

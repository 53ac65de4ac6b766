package rule

import (
	"regexp"
	"strconv"
	"strings"
)

var classificationLine = regexp.MustCompile(`^config\s+classification\s*:\s*([\w-]+)\s*,\s*(.+?)\s*,\s*(\d+)\s*$`)
var referenceLine = regexp.MustCompile(`^config\s+reference\s*:\s*([\w-]+)\s+(\S+)\s*$`)

// ParseClassifications reads a classification.config; lines that are none are skipped.
func ParseClassifications(text []byte) map[string]Classification {
	out := map[string]Classification{}
	for _, line := range strings.Split(string(text), "\n") {
		if m := classificationLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			priority, _ := strconv.Atoi(m[3])
			out[m[1]] = Classification{m[2], priority}
		}
	}
	return out
}

// ParseReferences reads a reference.config.
func ParseReferences(text []byte) map[string]string {
	out := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if m := referenceLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			out[strings.ToLower(m[1])] = m[2]
		}
	}
	return out
}

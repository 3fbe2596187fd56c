// Package deploy carries what installs Weftnet into a cluster: the Helm chart
// with its CRDs, embedded, so that a program can install without files beside it.
//
// Invariant: the CRDs are generated from the Go types in api ("go generate
// ./api") and never edited; the chart asks for nothing at install time that
// values.yaml does not describe.
//
// Example, the chart as a file system rooted at Chart.yaml:
//
//	chart, err := fs.Sub(deploy.Chart, "chart")
package deploy

import (
	"embed"
	"fmt"
	"path"
)

// Chart holds the Helm chart below the folder "chart".
//
//go:embed all:chart
var Chart embed.FS

// CRDs returns the custom resource definitions, one YAML document each, in the
// order of their file names.
func CRDs() ([][]byte, error) {
	const dir = "chart/crds"
	entries, err := Chart.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list embedded CRDs: %w", err)
	}
	docs := make([][]byte, 0, len(entries))
	for _, entry := range entries {
		doc, err := Chart.ReadFile(path.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read embedded CRD: %w", err)
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

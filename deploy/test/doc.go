// Package test proves two things about the folder above it without a cluster:
// that the chart renders to what is meant, and that the CRDs are ones that an
// API server accepts and that accept users' YAML, with the API server's own
// validation code.
//
// It is a module of its own because Helm and the API server's libraries would
// otherwise decide the dependency versions of the programs:
//
//	go -C deploy/test test ./...
package test

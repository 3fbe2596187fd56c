// Package goldentest compares what a test has with what a file says it should be.
//
// Invariant: files are written with the flag -update, which go test of a package that uses this has, and by nothing else.
//
//	goldentest.Equal(t, "testdata/explain.txt", have)
package goldentest

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Equal fails a test whose text is not what the file holds, or writes the file.
func Equal(t *testing.T, file, have string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("%s differs (-want +have; go test -update writes it anew):\n%s", file, diff)
	}
}

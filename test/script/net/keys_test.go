package net

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/settings"
)

const everyKey = "restart/every_key_changes_while_agents_run.txtar"

// changed are the values that a script gives to keys, by key, each with the file that does. Files that it does not apply count
// for nothing.
func changed(t *testing.T, script string) map[string][][2]string {
	t.Helper()
	archive, err := txtar.ParseFile(script)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][][2]string{}
	for _, f := range archive.Files {
		if !regexp.MustCompile(`(?m)^(\[[a-z]+\] )?apply ` + regexp.QuoteMeta(f.Name) + `$`).Match(archive.Comment) {
			continue
		}
		var o struct {
			Kind string            `json:"kind"`
			Data map[string]string `json:"data"`
		}
		if err := yaml.Unmarshal(f.Data, &o); err != nil {
			t.Fatalf("%s: %s: %v", script, f.Name, err)
		}
		for key, value := range o.Data {
			values[key] = append(values[key], [2]string{value, f.Name})
		}
	}
	return values
}

// A key that is added to the catalogue is changed under load from that day on, and what is promised of it holds there.
func TestEveryKeyThatDoesSomethingIsChangedUnderLoad(t *testing.T) {
	values := changed(t, everyKey)
	for _, k := range settings.Keys() {
		if !k.Effective() || len(k.Values()) == 1 {
			continue // it has one value
		}
		class := strings.ReplaceAll(string(k.Holds), " ", "-")
		other := func(v [2]string) bool { return v[0] != k.Default && strings.HasPrefix(v[1], class) }
		if !slices.ContainsFunc(values[k.Name], other) {
			t.Errorf("%s: key %s, of which a change takes hold for %q, is not given another value by a file %s….yaml that the script applies: it has %v",
				everyKey, k.Name, k.Holds, class, values[k.Name])
		}
	}
}

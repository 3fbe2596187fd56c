package capability_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/settings"
)

// configuration is the table of docs/configuration.md: the keys that do something, by concern.
func configuration() string {
	var b strings.Builder
	for _, of := range settings.Concerns {
		fmt.Fprintf(&b, "\n## %s\n\n| key | values | default | what it says | a change holds for |\n|---|---|---|---|---|\n", of)
		for _, k := range settings.Keys() {
			if k.Concern != of || !k.Effective() {
				continue
			}
			values := cmp.Or(strings.Join(slices.DeleteFunc(slices.Clone(k.Values()), func(v string) bool { return v == "" }), ", "), k.Type())
			says := k.Text
			if k.Needs != "" {
				says += " (needs " + k.Needs + ")"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, values, k.Default, says, k.Holds)
		}
	}
	return b.String()
}

func TestTheConfigurationPageHasTheCatalogue(t *testing.T) {
	const file, begin = "../../docs/configuration.md", "<!-- from here written by go test ./internal/capability -update -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, have, found := strings.Cut(string(text), begin)
	if want := configuration(); *update {
		if err := os.WriteFile(file, []byte(before+begin+want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !found || have != want {
		t.Errorf("%s has not what the catalogue says (go test ./internal/capability -update writes it)", file)
	}
}

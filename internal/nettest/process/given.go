package process

import (
	"maps"
	"os"
	"strings"
)

// GivenSettings names the environment variable with configuration for all nodes, KEY=VALUE,KEY=VALUE: every script says
// something about every way to do things.
const GivenSettings = "WEFT_TEST_SETTINGS"

// WithGiven adds the given settings to a node's own, which win.
func WithGiven(own map[string]string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(os.Getenv(GivenSettings), ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			all[key] = value
		}
	}
	maps.Copy(all, own)
	return all
}

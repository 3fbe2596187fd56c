package scrape

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Select leaves out of what a registry has what key metrics switches off: words such as -cilium_endpoint_state. All are on unless one
// does; +cilium_endpoint_state switches one on again. A later word wins.
func Select(all prometheus.Gatherer, words []string) prometheus.Gatherer {
	off := map[string]bool{}
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "-"); ok {
			off[name] = true
		} else {
			delete(off, strings.TrimPrefix(w, "+"))
		}
	}
	if len(off) == 0 {
		return all
	}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		have, err := all.Gather()
		var out []*dto.MetricFamily
		for _, f := range have {
			if !off[f.GetName()] {
				out = append(out, f)
			}
		}
		return out, err
	})
}

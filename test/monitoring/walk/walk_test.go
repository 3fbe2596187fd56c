package walk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fake is a Prometheus that knows some expressions.
type fake struct {
	known []string
	asked []string
}

func (f *fake) Query(_ context.Context, expression string) (int, error) {
	f.asked = append(f.asked, expression)
	if slices.Contains(f.known, expression) {
		return 1, nil
	}
	return 0, nil
}

func (f *fake) Labels(_ context.Context, selector, label string) ([]string, error) {
	if slices.Contains(f.known, selector) {
		return []string{label}, nil
	}
	return nil, nil
}

const board = `{"title": "nodes", "templating": {"list": [{"name": "ds", "type": "datasource"}, {"name": "node", "type": "query", "definition": "label_values(up, instance)"}]},
"panels": [{"type": "row", "title": "r", "panels": [{"title": "inside", "type": "timeseries", "targets": [{"expr": "up{instance=~\"$node\"}"}]}]},
{"title": "rate", "type": "timeseries", "targets": [{"expr": "rate(x[$__rate_interval])"}, {"expr": "rate(y[5m])"}]}]}`

func TestEveryPanelVariableAndWindowIsAsked(t *testing.T) {
	all := []string{"up", `up{instance=~".*"}`, "rate(x[8s])", "rate(x[1m])", "rate(y[5m])"}
	p := &fake{known: all}
	empty, queries, err := Dashboard(t.Context(), []byte(board), p, []string{"8s", "1m"})
	if err != nil || len(empty) > 0 || queries != len(all) || !slices.Equal(p.asked, all[1:]) {
		t.Errorf("asked %q, %d queries, empty: %v, %v", p.asked, queries, empty, err)
	}
	for i, missing := range all {
		p := &fake{known: slices.Delete(slices.Clone(all), i, i+1)}
		empty, _, err := Dashboard(t.Context(), []byte(board), p, []string{"8s", "1m"})
		if err != nil || len(empty) != 1 || !strings.Contains(empty[0].String(), missing) {
			t.Errorf("without %s: %v, %v", missing, empty, err)
		}
	}
}

func TestWhatAsksNothingIsAnError(t *testing.T) {
	for says, text := range map[string]string{
		"no panel":               `{"title": "x"}`,
		"asks nothing":           `{"title": "x", "panels": [{"title": "p", "type": "stat"}]}`,
		"has no variable $other": `{"title": "x", "panels": [{"title": "p", "type": "stat", "targets": [{"expr": "up{a=\"$other\"}"}]}]}`,
		"read dashboard":         `{`,
		"only label_values":      `{"title": "x", "templating": {"list": [{"name": "n", "type": "query", "definition": "metrics(up)"}]}}`,
	} {
		if _, _, err := Dashboard(t.Context(), []byte(text), &fake{}, []string{"1m"}); err == nil || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

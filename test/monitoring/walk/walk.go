// Package walk asks a Prometheus all that dashboards of Grafana ask it: every query of every panel, in every window that its rates may
// have, and every variable. A query without an answer is a panel that stays empty for people, mostly for a name that nothing has.
//
// # What it models
//
// A dashboard is JSON (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/). Its panels have targets
// with an expression; rows may hold panels. Expressions name variables: $__rate_interval, which Grafana makes four times the scrape
// interval or more, and variables of the dashboard, which stand for all of their values here.
//
// # Invariants
//
//   - An expression that still has a variable after all are replaced is an error, and so is a dashboard without a panel.
//   - An answer of NaN alone is none.
//
// # Example
//
//	empty, err := walk.Dashboard(ctx, text, prometheus, []string{"8s", "1m"})
package walk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Prometheus answers queries.
type Prometheus interface {
	// Query gives the number of series that answer an expression now, with a number each.
	Query(ctx context.Context, expression string) (series int, err error)
	// Labels gives the values of a label of what a selector selects.
	Labels(ctx context.Context, selector, label string) ([]string, error)
}

// Empty is a query without an answer.
type Empty struct{ Dashboard, Panel, Query string }

func (e Empty) String() string {
	return fmt.Sprintf("%s: %s: no answer to %s", e.Dashboard, e.Panel, e.Query)
}

type dashboard struct {
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Title   string  `json:"title"`
	Type    string  `json:"type"`
	Panels  []panel `json:"panels"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), *(\w+)\)$`)
	dollar      = regexp.MustCompile(`\$\{?\w+`)
)

// Dashboard asks all of one. windows are those that $__rate_interval stands for.
func Dashboard(ctx context.Context, text []byte, p Prometheus, windows []string) (empty []Empty, queries int, err error) {
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, 0, fmt.Errorf("read dashboard: %w", err)
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Definition)
		if m == nil {
			return nil, 0, fmt.Errorf("%s: variable %s is %q, and only label_values(METRIC, LABEL) is known", d.Title, v.Name, v.Definition)
		}
		values, err := p.Labels(ctx, m[1], m[2])
		if err != nil {
			return nil, 0, fmt.Errorf("%s: variable %s: %w", d.Title, v.Name, err)
		}
		if queries++; len(values) == 0 {
			empty = append(empty, Empty{d.Title, "variable " + v.Name, v.Definition})
		}
	}
	var wrong []error
	for _, q := range asked(d, windows, &wrong) {
		n, err := p.Query(ctx, q.Query)
		queries++
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %s: %w", d.Title, q.Panel, err))
		case n == 0:
			empty = append(empty, q)
		}
	}
	return empty, queries, errors.Join(wrong...)
}

// asked lists the queries of all panels, once for each window.
func asked(d dashboard, windows []string, wrong *[]error) (out []Empty) {
	var panels func(list []panel)
	panels = func(list []panel) {
		for _, p := range list {
			panels(p.Panels)
			if p.Type != "row" && len(p.Targets) == 0 {
				*wrong = append(*wrong, fmt.Errorf("%s: %s asks nothing", d.Title, p.Title))
			}
			for _, t := range p.Targets {
				for i, window := range windows {
					if i > 0 && !strings.Contains(t.Expr, "$__rate_interval") {
						break
					}
					query := replace(t.Expr, d, window)
					if left := dollar.FindString(query); left != "" {
						*wrong = append(*wrong, fmt.Errorf("%s: %s: %s has no variable %s", d.Title, p.Title, t.Expr, left))
						continue
					}
					out = append(out, Empty{d.Title, p.Title, query})
				}
			}
		}
	}
	if panels(d.Panels); len(out) == 0 {
		*wrong = append(*wrong, fmt.Errorf("%s has no panel that asks anything", d.Title))
	}
	return out
}

func replace(expr string, d dashboard, window string) string {
	expr = strings.ReplaceAll(expr, "$__rate_interval", window)
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			expr = strings.ReplaceAll(expr, "$"+v.Name, ".*")
		}
	}
	return expr
}

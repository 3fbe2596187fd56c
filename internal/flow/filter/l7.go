package filter

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/flow"
)

// ofHTTP builds a filter of HTTP flows. Beside event types it needs type l7 among them: no other flow has HTTP.
func ofHTTP[T any](values func(*flowpb.FlowFilter) []T, build func([]T) (func(*flowpb.HTTP) bool, error)) builder {
	return func(f *flowpb.FlowFilter) (Func, error) {
		types := f.GetEventType()
		if len(types) > 0 && !slices.ContainsFunc(types, func(t *flowpb.EventTypeFilter) bool { return t.GetType() == flow.EventL7 }) {
			return nil, errors.New("only flows of type l7 have it, and event_type asks for others: leave event_type away, or add l7")
		}
		match, err := build(values(f))
		if err != nil {
			return nil, err
		}
		return func(f *flowpb.Flow) bool {
			h := f.GetL7().GetHttp()
			return h != nil && match(h)
		}, nil
	}
}

var (
	wholeStatus  = regexp.MustCompile(`^[1-5][0-9]{2}$`)
	statusPrefix = regexp.MustCompile(`^[1-5][0-9]?\+$`)
)

// statuses takes 404, and 4+ or 40+ for all that begin so. A request has no status and matches none.
func statuses(values []string) (func(*flowpb.HTTP) bool, error) {
	for _, value := range values {
		if !wholeStatus.MatchString(value) && !statusPrefix.MatchString(value) {
			return nil, fmt.Errorf("%q is no status, as 404 is, or 4+ or 40+ for all that begin so", value)
		}
	}
	return func(h *flowpb.HTTP) bool {
		status := fmt.Sprintf("%03d", h.GetCode())
		return h.GetCode() != 0 && slices.ContainsFunc(values, func(v string) bool {
			prefix, more := strings.CutSuffix(v, "+")
			return v == status || more && strings.HasPrefix(status, prefix)
		})
	}, nil
}

func methods(values []string) (func(*flowpb.HTTP) bool, error) {
	return func(h *flowpb.HTTP) bool {
		return h.GetMethod() != "" && slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, h.GetMethod()) })
	}, nil
}

func headers(values []*flowpb.HTTPHeader) (func(*flowpb.HTTP) bool, error) {
	return func(h *flowpb.HTTP) bool {
		return slices.ContainsFunc(h.GetHeaders(), func(have *flowpb.HTTPHeader) bool {
			return slices.ContainsFunc(values, func(v *flowpb.HTTPHeader) bool {
				return v.GetKey() == have.GetKey() && v.GetValue() == have.GetValue()
			})
		})
	}, nil
}

// urls takes regular expressions (RE2) of which one is found somewhere in the URL.
func urls(values []string) (func(*flowpb.HTTP) bool, error) {
	found, err := expressions(values)
	return func(h *flowpb.HTTP) bool { return h.GetUrl() != "" && found(h.GetUrl()) }, err
}

// paths takes the same for the path of the URL, without its query. A URL that is none matches nothing.
func paths(values []string) (func(*flowpb.HTTP) bool, error) {
	found, err := expressions(values)
	return func(h *flowpb.HTTP) bool {
		u, err := url.ParseRequestURI(h.GetUrl())
		return err == nil && found(u.Path)
	}, err
}

// queries takes the same for the name that a DNS message is about.
func queries(values []string) (Func, error) {
	found, err := expressions(values)
	return func(f *flowpb.Flow) bool { return f.GetL7().GetDns() != nil && found(f.GetL7().GetDns().GetQuery()) }, err
}

func expressions(values []string) (func(text string) bool, error) {
	var list []*regexp.Regexp
	for _, value := range values {
		re, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("%q is no regular expression: %w", quoted(value), err)
		}
		list = append(list, re)
	}
	return func(text string) bool {
		return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return re.MatchString(text) })
	}, nil
}

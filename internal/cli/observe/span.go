package observe

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const usualLast = 20 // flows, when nothing else is said

// span says which of what there is.
type span struct {
	all, follow  bool
	last, first  uint64
	since, until string
}

func (o *span) register(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what comes, until interrupted")
	f.Uint64Var(&o.last, "last", 0, fmt.Sprintf("the last N that match (default %d)", usualLast))
	f.Uint64Var(&o.first, "first", 0, "the first N that match")
	f.BoolVar(&o.all, "all", false, "all that is there still")
	f.StringVar(&o.since, "since", "", "since a time: how long ago (90s, 5m) or a date (2026-03-01T12:00:00Z, 2026-03-01)")
	f.StringVar(&o.until, "until", "", "until a time, in the same form")
}

// flows is GetFlows without its filters. Of a file all flows are meant, if nothing else is said.
func (o span) flows(now time.Time, file bool) (*observerpb.GetFlowsRequest, error) {
	var said []string
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--last", o.last > 0}, {"--first", o.first > 0}, {"--all", o.all}} {
		if flag.set {
			said = append(said, flag.name)
		}
	}
	if len(said) > 1 {
		return nil, fmt.Errorf("%s exclude each other", strings.Join(said, " and "))
	}
	if o.first > 0 && o.follow {
		return nil, errors.New("--first and --follow exclude each other")
	}
	r := &observerpb.GetFlowsRequest{Follow: o.follow, First: o.first > 0, Number: max(o.first, o.last)}
	for _, bound := range []struct {
		name, text string
		at         **timestamppb.Timestamp
	}{{"--since", o.since, &r.Since}, {"--until", o.until, &r.Until}} {
		if bound.text == "" {
			continue
		}
		at, err := parseTime(bound.text, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bound.name, err)
		}
		*bound.at = timestamppb.New(at)
	}
	switch {
	case o.all:
		r.Number = math.MaxUint64
	case r.Number == 0 && !o.follow && r.Since == nil && r.Until == nil && !file:
		r.Number = usualLast
	}
	return r, nil
}

// layout is a form of times, as Hubble names it.
type layout struct{ name, layout string }

var timeLayouts = []layout{
	{"StampMilli", time.StampMilli},
	{"YearMonthDay", "2006-01-02"},
	{"YearMonthDayHour", "2006-01-02T15Z07:00"},
	{"YearMonthDayHourMinute", "2006-01-02T15:04Z07:00"},
	{"RFC3339", time.RFC3339},
	{"RFC3339Milli", "2006-01-02T15:04:05.999Z07:00"},
	{"RFC3339Micro", "2006-01-02T15:04:05.999999Z07:00"},
	{"RFC3339Nano", time.RFC3339Nano},
	{"RFC1123Z", time.RFC1123Z},
}

func timeFormats() []string {
	var names []string
	for _, l := range timeLayouts {
		names = append(names, l.name)
	}
	return names
}

// parseTime reads how long ago, or a date.
func parseTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, l := range timeLayouts[1:] { // StampMilli has no year
		if t, err := time.Parse(l.layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither how long ago (90s, 5m, 2h) nor a date (2026-03-01, 2026-03-01T12:00:00Z)", text)
}

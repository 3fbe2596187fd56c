package observe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"weftnet.io/weftnet/internal/flow"
)

// format says how it is printed.
type format struct {
	output      string
	timeFormat  string
	color       string
	nodeName    bool
	policyNames bool
	numeric     bool
	translate   bool
}

func (o *format) register(c *cobra.Command, flows bool) {
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "compact", "compact, dict, tab, table, json or jsonpb; tab is table, json is jsonpb")
	f.StringVar(&o.timeFormat, "time-format", "StampMilli", "form of times: a layout that Hubble has, e.g. RFC3339, RFC3339Nano")
	f.BoolVar(&o.nodeName, "print-node-name", false, "name the node that saw it")
	complete := map[string][]string{"output": {"compact", "dict", "tab", "table", "json", "jsonpb"}, "time-format": timeFormats()}
	o.color, o.translate = "never", true
	if flows {
		f.BoolVar(&o.policyNames, "print-policy-names", false, "name the policies that decided")
		f.BoolVar(&o.numeric, "numeric", false, "addresses instead of names of pods and services")
		f.BoolVar(&o.translate, "ip-translation", true, "names of pods and services, or of domains, instead of addresses")
		f.StringVar(&o.color, "color", "auto", "auto, always or never (compact and dict only)")
		complete["color"] = []string{"auto", "always", "never"}
	}
	for name, values := range complete {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

func (o *format) printing(env Environment, follow bool) (flow.PrinterOptions, error) {
	p := flow.PrinterOptions{
		Output: flow.Output(o.output), Errors: env.Err, NodeName: o.nodeName, PolicyNames: o.policyNames, IPTranslation: o.translate && !o.numeric,
	}
	switch o.output {
	case "compact", "dict":
	case "tab", "table":
		if follow {
			return p, errors.New("--output tab needs an end to align its columns: not with --follow")
		}
		p.Output = flow.Tab
	case "json", "jsonpb", "JSON":
		p.Output = flow.JSON
	default:
		return p, fmt.Errorf("--output %q: must be compact, dict, tab, table, json or jsonpb", o.output)
	}
	switch o.color {
	case "auto":
		p.Color = env.Terminal
	case "always", "never":
		p.Color = o.color == "always"
	default:
		return p, fmt.Errorf("--color %q: must be auto, always or never", o.color)
	}
	i := slices.IndexFunc(timeLayouts, func(l layout) bool { return strings.EqualFold(l.name, o.timeFormat) })
	if i < 0 {
		return p, fmt.Errorf("--time-format %q: must be one of %s", o.timeFormat, strings.Join(timeFormats(), ", "))
	}
	p.TimeFormat = timeLayouts[i].layout
	return p, nil
}

// printed are the fields that a Printer reads.
var printed = []string{
	"time", "verdict", "drop_reason_desc", "auth_type", "ethernet", "IP", "l4", "source.identity", "source.namespace", "source.pod_name", "destination.identity",
	"destination.namespace", "destination.pod_name", "Type", "node_name", "source_names", "destination_names", "l7", "event_type", "source_service",
	"destination_service", "is_reply", "debug_capture_point", "Summary", "ip_trace_id", "traffic_direction", "policy_match_type", "policy_log",
	"ingress_allowed_by", "ingress_denied_by", "egress_allowed_by", "egress_denied_by",
	"extensions", // names of virtual machines
}

// fields are those that are asked for; nil: all.
func (o *options) fields() (*fieldmaskpb.FieldMask, error) {
	asked := o.mask
	if !strings.HasPrefix(strings.ToLower(o.output), "json") {
		if len(asked) > 0 {
			return nil, fmt.Errorf("--field-mask is for -o json: -o %s prints the fields that it has columns for", o.output)
		}
		if o.usualMask && o.file == "" {
			asked = printed
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	mask, err := fieldmaskpb.New(&flowpb.Flow{}, asked...)
	if err != nil {
		return nil, fmt.Errorf("--field-mask: %w", err)
	}
	return mask, nil
}

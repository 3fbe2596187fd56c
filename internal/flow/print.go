package flow

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/identity"
)

// Output is the shape in which a Printer prints.
type Output string

// Values of Output.
const (
	Compact Output = "compact" // one line each
	Dict    Output = "dict"    // one field a line
	Tab     Output = "tab"     // a table, complete only after Close
	JSON    Output = "json"    // one GetFlowsResponse a line
)

// PrinterOptions says how to print.
type PrinterOptions struct {
	Output        Output
	Errors        io.Writer // gets what is said about nodes; nil: it is dropped
	TimeFormat    string    // layout of package time; empty: time.StampMilli. Times are UTC
	NodeName      bool
	PolicyNames   bool
	IPTranslation bool // names of pods and services instead of addresses
	Color         bool // compact and dict only
	Verbose       bool // also tells of nodes that are well
}

// Printer prints what GetFlows answers, as `hubble observe` does.
type Printer struct {
	out   io.Writer
	tab   *tabwriter.Writer
	json  *json.Encoder
	o     PrinterOptions
	lines int
}

// NewPrinter makes a printer.
func NewPrinter(out io.Writer, o PrinterOptions) *Printer {
	p := &Printer{out: out, o: o}
	if o.TimeFormat == "" {
		p.o.TimeFormat = time.StampMilli
	}
	switch o.Output {
	case JSON:
		p.json = json.NewEncoder(out)
	case Tab:
		p.tab = tabwriter.NewWriter(out, 2, 0, 3, ' ', 0)
		p.o.Color = false // escape sequences would count as width
	}
	return p
}

// Close prints what is kept back.
func (p *Printer) Close() error {
	if p.tab != nil {
		return p.tab.Flush()
	}
	return nil
}

// Print prints one answer. Answers of a kind that is not known yet are passed over.
func (p *Printer) Print(r *observerpb.GetFlowsResponse) error {
	var err error
	switch {
	case r.GetNodeStatus() != nil:
		return p.nodes(r)
	case p.json != nil:
		return p.json.Encode(r)
	case r.GetFlow() != nil:
		err = p.flow(r.GetFlow())
	case r.GetLostEvents() != nil:
		err = p.lost(r)
	default:
		return nil
	}
	p.lines++
	return err
}

func (p *Printer) flow(f *flowpb.Flow) error {
	src, dst := p.hosts(f)
	when, kind, verdict := p.time(f.GetTime()), typeText(f), p.verdict(f)
	summary := p.summary(f)
	switch p.o.Output {
	case Tab:
		return p.row(when, f.GetNodeName(), src, dst, kind, verdict, summary)
	case Dict:
		return p.dict(when, f.GetNodeName(), "SOURCE", src, "DESTINATION", dst, "TYPE", kind, "VERDICT", verdict, "SUMMARY", summary)
	}
	srcID, dstID := p.identity(f.GetSource()), p.identity(f.GetDestination())
	arrow := "->"
	switch {
	case f.GetIsReply() == nil:
		arrow = "<>"
	case f.GetIsReply().GetValue():
		src, dst, srcID, dstID, arrow = dst, src, dstID, srcID, "<-"
	}
	node := ""
	if p.o.NodeName {
		node = " [" + clean(f.GetNodeName()) + "]"
	}
	_, err := fmt.Fprintf(p.out, "%s%s: %s %s %s %s %s %s %s (%s)\n", when, node, src, srcID, arrow, dst, dstID, kind, verdict, summary)
	return err
}

func (p *Printer) lost(r *observerpb.GetFlowsResponse) error {
	e := r.GetLostEvents()
	when, node := p.time(r.GetTime()), r.GetNodeName()
	if node == "" {
		node = "-"
	}
	separator := " - "
	if p.o.Output == Compact {
		separator = " "
	}
	summary := fmt.Sprintf("CPU(%d)%s%d", e.GetCpu().GetValue(), separator, e.GetNumEventsLost())
	if e.GetFirst() != nil && e.GetLast() != nil {
		summary += fmt.Sprintf(" (first: %s, last: %s)", p.time(e.GetFirst()), p.time(e.GetLast()))
	}
	switch p.o.Output {
	case Tab:
		return p.row(when, node, e.GetSource().String(), "-", "EVENTS LOST", "-", summary)
	case Dict:
		return p.dict(when, node, "SOURCE", e.GetSource().String(), "TYPE", "EVENTS LOST", "VERDICT", "-", "SUMMARY", summary)
	}
	_, err := fmt.Fprintf(p.out, "%s EVENTS LOST: %s %s\n", when, e.GetSource(), summary)
	return err
}

func (p *Printer) row(when, node string, columns ...string) error {
	if p.lines == 0 {
		head := []string{"TIMESTAMP", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY"}
		if p.o.NodeName {
			head = append([]string{"TIMESTAMP", "NODE"}, head[1:]...)
		}
		if _, err := fmt.Fprintln(p.tab, strings.Join(head, "\t")); err != nil {
			return err
		}
	}
	cells := []string{when}
	if p.o.NodeName {
		cells = append(cells, clean(node))
	}
	_, err := fmt.Fprintln(p.tab, strings.Join(append(cells, columns...), "\t"))
	return err
}

func (p *Printer) dict(when, node string, cells ...string) error {
	head := []string{"TIMESTAMP", when}
	if p.o.NodeName {
		head = append(head, "NODE", clean(node))
	}
	return fields(p.out, p.lines == 0, append(head, cells...)...)
}

// fields prints names and values, one pair a line, below a line if they are not the first.
func fields(out io.Writer, first bool, cells ...string) error {
	var b strings.Builder
	if !first {
		b.WriteString("------------\n")
	}
	for i := 0; i < len(cells); i += 2 {
		fmt.Fprintf(&b, "%11s: %s\n", cells[i], cells[i+1])
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// nodes tells of nodes that come and go, on the other writer: the first is for flows.
func (p *Printer) nodes(r *observerpb.GetFlowsResponse) error {
	s := r.GetNodeStatus()
	trouble := s.GetStateChange() == relaypb.NodeState_NODE_ERROR || s.GetStateChange() == relaypb.NodeState_NODE_UNAVAILABLE
	if p.o.Errors == nil || (!trouble && !p.o.Verbose) {
		return nil
	}
	names, n := clean(shorten(s.GetNodeNames())), len(s.GetNodeNames())
	switch p.o.Output {
	case JSON:
		return json.NewEncoder(p.o.Errors).Encode(r)
	case Dict:
		message := "N/A"
		if s.GetMessage() != "" {
			message = strconv.Quote(s.GetMessage())
		}
		err := fields(p.o.Errors, p.lines == 0, "TIMESTAMP", p.time(r.GetTime()), "STATE", s.GetStateChange().String(), "NODES", names, "MESSAGE", message)
		p.lines = max(p.lines, 1)
		return err
	}
	var text string
	switch s.GetStateChange() {
	case relaypb.NodeState_NODE_CONNECTED:
		text = fmt.Sprintf("Receiving flows from %d nodes: %s", n, names)
	case relaypb.NodeState_NODE_UNAVAILABLE:
		text = fmt.Sprintf("%d nodes are unavailable: %s", n, names)
	case relaypb.NodeState_NODE_GONE:
		text = fmt.Sprintf("%d nodes removed from cluster: %s", n, names)
	case relaypb.NodeState_NODE_ERROR:
		text = fmt.Sprintf("Error %q on %d nodes: %s", s.GetMessage(), n, names)
	default:
		return nil
	}
	_, err := fmt.Fprintf(p.o.Errors, "%s [%s]: %s\n", p.time(r.GetTime()), clean(r.GetNodeName()), text)
	return err
}

// shorten joins names until about 50 characters and counts the rest.
func shorten(names []string) string {
	length := 0
	for i, name := range names {
		if length += len(name) + 2; length > 50 && i > 0 {
			return fmt.Sprintf("%s (and %d more)", strings.Join(names[:i], ", "), len(names)-i)
		}
	}
	return strings.Join(names, ", ")
}

func (p *Printer) time(t *timestamppb.Timestamp) string { return timeText(t, p.o.TimeFormat) }

func timeText(t *timestamppb.Timestamp, layout string) string {
	if !t.IsValid() {
		return "N/A"
	}
	return t.AsTime().Format(layout)
}

// hosts names both ends: virtual machine, else pod, else service, else domain names, else address; with the port where there is one.
func (p *Printer) hosts(f *flowpb.Flow) (src, dst string) {
	if f.GetIP() == nil {
		return p.paint(cyan, clean(f.GetEthernet().GetSource())), p.paint(cyan, clean(f.GetEthernet().GetDestination()))
	}
	from, to, _ := Ports(f)
	x := ExtraOf(f)
	return p.host(f.GetIP().GetSource(), from, x.Source.VM, f.GetSource(), f.GetSourceService(), f.GetSourceNames()),
		p.host(f.GetIP().GetDestination(), to, x.Destination.VM, f.GetDestination(), f.GetDestinationService(), f.GetDestinationNames())
}

func (p *Printer) host(ip string, port uint16, machine string, e *flowpb.Endpoint, s *flowpb.Service, names []string) string {
	name := ip
	if p.o.IPTranslation {
		switch {
		case machine != "":
			name = machine
		case e.GetPodName() != "":
			name = path.Join(e.GetNamespace(), e.GetPodName())
		case s.GetName() != "":
			name = path.Join(s.GetNamespace(), s.GetName())
		case len(names) > 0:
			name = strings.Join(names, ",")
		}
	}
	name = clean(name)
	if port != 0 {
		name = net.JoinHostPort(name, p.paint(yellow, strconv.Itoa(int(port))))
	}
	return p.paint(cyan, name)
}

// identity is the number in parentheses, or the name of a reserved one.
func (p *Printer) identity(e *flowpb.Endpoint) string {
	n := identity.Number(e.GetIdentity())
	text := fmt.Sprintf("(ID:%d)", n)
	if n == 0 {
		text = "(unknown)"
	} else if name := n.Name(); name != "" {
		text = "(" + name + ")"
	}
	return p.paint(magenta, text)
}

// typeText says what kind of event a flow is.
func typeText(f *flowpb.Flow) string {
	if l7 := f.GetL7(); l7 != nil {
		kind := strings.ToLower(l7.GetType().String())
		switch {
		case l7.GetHttp() != nil:
			return "http-" + kind
		case l7.GetDns() != nil:
			return clean("dns-" + kind + " " + l7.GetDns().GetObservationSource())
		}
		return "l7-" + kind
	}
	sub := f.GetEventType().GetSubType()
	switch f.GetEventType().GetType() {
	case EventTrace:
		return PointText(sub)
	case EventDrop:
		return DropText(uint32(sub))
	case EventPolicyVerdict:
		return fmt.Sprintf("policy-verdict:%s %s", MatchText(f.GetPolicyMatchType()), f.GetTrafficDirection())
	case EventCapture:
		return f.GetDebugCapturePoint().String()
	case EventTraceSock:
		return at([]string{
			flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_UNKNOWN.String(),
			"pre-xlate-fwd", "post-xlate-fwd", "pre-xlate-rev", "post-xlate-rev",
		}, int(sub))
	}
	return "UNKNOWN"
}

func (p *Printer) verdict(f *flowpb.Flow) string {
	text, color := f.GetVerdict().String(), ""
	word := ""
	allowed, denied := f.GetEgressAllowedBy(), f.GetEgressDeniedBy()
	if f.GetTrafficDirection() == flowpb.TrafficDirection_INGRESS {
		allowed, denied = f.GetIngressAllowedBy(), f.GetIngressDeniedBy()
	}
	by := denied
	switch f.GetVerdict() {
	case flowpb.Verdict_FORWARDED, flowpb.Verdict_REDIRECTED:
		color, word, by = green, "ALLOWED", allowed
	case flowpb.Verdict_DROPPED, flowpb.Verdict_ERROR:
		color, word = red, "DENIED"
	case flowpb.Verdict_AUDIT:
		color, word = yellow, "AUDITED"
	case flowpb.Verdict_TRACED, flowpb.Verdict_TRANSLATED:
		color = yellow
	}
	if f.GetEventType().GetType() == EventPolicyVerdict && word != "" {
		text = word
		if p.o.PolicyNames {
			text += PoliciesText(by) + stagedText(f.GetPolicyLog())
		}
	}
	return p.paint(color, text)
}

// PoliciesText is " BY name (Kind), name (Kind)", empty for none.
func PoliciesText(policies []*flowpb.Policy) string {
	var names []string
	for _, p := range policies {
		if p.GetKind() != "" && p.GetName() != "" {
			names = append(names, clean(fmt.Sprintf("%s (%s)", p.GetName(), p.GetKind())))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " BY " + strings.Join(names, ", ")
}

// Staged begins the line of a flow's policy log that says what staged policies would do.
const Staged = "staged: "

// stagedText is what staged policies would do: " [staged: would be denied by cnp shop/db ingress[0]]".
func stagedText(log []string) (text string) {
	for _, line := range log {
		if strings.HasPrefix(line, Staged) {
			text += " [" + clean(line) + "]"
		}
	}
	return text
}

func (p *Printer) summary(f *flowpb.Flow) string {
	//lint:ignore SA1019 clients before 1.15 read it
	text := f.GetSummary() //nolint:staticcheck // deprecated upstream for years and still what every client prints
	if text == "" {
		text = Summary(f.GetL4())
	}
	if id := f.GetIpTraceId().GetTraceId(); id > 0 {
		text = fmt.Sprintf("IP Trace ID: %d; %s", id, text)
	}
	text = clean(text)
	switch auth := f.GetAuthType(); auth {
	case flowpb.AuthType_DISABLED:
	case flowpb.AuthType_TEST_ALWAYS_FAIL:
		text += "; Auth: " + p.paint(red, auth.String())
	default:
		text += "; Auth: " + p.paint(green, auth.String())
	}
	return text
}

// Colours of a terminal (ECMA-48 SGR).
const (
	red, green, yellow, magenta, cyan = "31", "32", "33", "35", "36"
)

func (p *Printer) paint(color, text string) string {
	if !p.o.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// clean shows control characters instead of sending them to a terminal: names can come from an attacker.
func clean(text string) string {
	if strings.IndexFunc(text, control) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == 0x1b:
			b.WriteString("^[")
		case control(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func control(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) }

package measure

import (
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// dns counts queries of DNS and their answers.
type dns struct {
	context
	query      bool // the name that was asked for is a label
	ignoreAAAA bool

	queries, responses, types *series[prometheus.Counter]
}

func newDNS(m metric.Metric, limit int) handler {
	h := &dns{context: contextOf(m), query: m.Has("query"), ignoreAAAA: m.Has("ignoreaaaa")}
	labels := func(more ...string) []string {
		out := append(h.names(), more...)
		if h.query {
			out = append(out, "query")
		}
		return out
	}
	h.queries = counters("hubble_dns_queries_total", "Number of DNS queries observed", labels("rcode", "qtypes", "ips_returned"), limit)
	h.responses = counters("hubble_dns_responses_total", "Number of DNS responses observed", labels("rcode", "qtypes", "ips_returned"), limit)
	h.types = counters("hubble_dns_response_types_total", "Number of DNS response types observed", labels("type", "qtypes"), limit)
	return h
}

func (h *dns) series() []anySeries { return []anySeries{h.queries, h.responses, h.types} }

func (h *dns) take(f *flowpb.Flow) {
	d := f.GetL7().GetDns()
	if d == nil || h.ignoreAAAA && len(d.GetQtypes()) == 1 && d.GetQtypes()[0] == "AAAA" {
		return
	}
	asked := strings.Join(d.GetQtypes(), ",")
	count := func(s *series[prometheus.Counter], values ...string) {
		values = append(h.values(f, false), values...)
		if h.query {
			values = append(values, d.GetQuery())
		}
		s.at(h.pods(f), values...).Inc()
	}
	addresses := strconv.Itoa(len(d.GetIps()))
	switch {
	case f.GetVerdict() == flowpb.Verdict_DROPPED:
		count(h.queries, "Policy denied", asked, addresses)
	case !f.GetIsReply().GetValue():
		count(h.queries, "", asked, addresses)
	default:
		count(h.responses, rcodes[d.GetRcode()], asked, addresses)
		for _, kind := range d.GetRrtypes() {
			count(h.types, kind, asked)
		}
	}
}

// rcodes are the texts of DNS answers as upstream has them (RFC 6895, 2.3).
var rcodes = map[uint32]string{
	0: "No Error", 1: "Format Error", 2: "Server Failure", 3: "Non-Existent Domain", 4: "Not Implemented", 5: "Query Refused",
	6: "Name Exists when it should not", 7: "RR Set Exists when it should not", 8: "RR Set that should exist does not", 9: "Not Authorized",
	10: "Name not contained in zone", 11: "DSO-TYPE Not Implemented", 16: "Bad OPT Version", 17: "Key not recognized",
	18: "Signature out of time window", 19: "Bad TKEY Mode", 20: "Duplicate key name", 21: "Algorithm not supported", 22: "Bad Truncation",
	23: "Bad/missing Server Cookie",
}

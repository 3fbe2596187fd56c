package v1

// Paths of questions about policies. They are read with GET; the answer to a question that cannot be answered is status 400
// and text for people.
const (
	PathExplain   = "/v1/policy/explain"   // ?from=END&to=END: []Explanation
	PathEffective = "/v1/policy/effective" // ?of=END: Effective
)

// Party is an end of a connection, as policies see it.
type Party struct {
	Name     string   `json:"name"`               // shop/web, host, 10.0.0.1
	Address  string   `json:"address,omitempty"`  // if it was asked for by address, or stands behind a service
	Identity uint32   `json:"identity"`           // 0: not known
	Labels   []string `json:"labels,omitempty"`   // of its identity: k8s:app=web
	Governed bool     `json:"governed,omitempty"` // policies restrict it
}

// Explanation says what policies make of a connection, and why.
type Explanation struct {
	From    Party      `json:"from"`
	To      Party      `json:"to"`
	Port    string     `json:"port"` // of the end that serves, after service translation: tcp/80, icmp/8
	Allowed bool       `json:"allowed"`
	Egress  PolicySide `json:"egress"`  // what the policies of From say
	Ingress PolicySide `json:"ingress"` // what the policies of To say
	Via     *Via       `json:"via,omitempty"`
	Notes   []string   `json:"notes,omitempty"` // what an answer about these two ends leaves out
}

// Via is a port of a node by whose netfilter a connection gets to who serves it: Egress of the explanation is about it.
type Via struct {
	Party
	Port    string     `json:"port"`
	Leads   string     `json:"leads"`   // what makes it lead on: hostPort of shop/web, node port of service shop/web
	Ingress PolicySide `json:"ingress"` // what the policies of the node say
}

// PolicySide is the verdict of the policies of one end.
type PolicySide struct {
	Verdict string   `json:"verdict"`          // allow, deny, deny-implicit (isolated, and nothing allows it), audit (would be denied, and passes)
	Rules   []string `json:"rules,omitempty"`  // that decide: cnp web/allow-db ingress[0].toPorts[1]; of deny-implicit those that isolate
	Passed  []string `json:"passed,omitempty"` // that had a say before those, and left it to the next tier
	Staged  *Staged  `json:"staged,omitempty"` // what staged policies would do; absent: there are none
	Reason  string   `json:"reason,omitempty"` // if no rule decides
	Near    []string `json:"near,omitempty"`   // of deny-implicit: what rules allow instead
}

// Staged is the verdict if staged policies were enforced.
type Staged struct {
	Verdict string   `json:"verdict"`         // allow, deny, deny-implicit
	Rules   []string `json:"rules,omitempty"` // that would decide
}

// Effective says what a workload or a node may talk with.
type Effective struct {
	Of      Party         `json:"of"`
	Ingress EffectiveSide `json:"ingress"`
	Egress  EffectiveSide `json:"egress"`
	Audited bool          `json:"audited,omitempty"` // its namespace or the configuration lets pass what its policies deny
	Audits  []string      `json:"audits,omitempty"`  // policies that are audited: what they would deny passes
	Staged  []string      `json:"staged,omitempty"`  // policies that are staged: they do nothing yet
}

// EffectiveSide is one direction. What none of Peers speaks of is denied if it is isolated, else allowed.
type EffectiveSide struct {
	Isolated bool            `json:"isolated"`
	By       []string        `json:"by,omitempty"` // the policies that isolate; empty: the configuration does
	Peers    []EffectivePeer `json:"peers"`
}

// EffectivePeer is a group of peers for which the same rules say the same.
type EffectivePeer struct {
	Verdict string   `json:"verdict"` // allow, deny
	Names   []string `json:"names"`   // shop/web, host, labels of an identity that no pod has; anyone
	Ports   []string `json:"ports"`   // tcp/80, tcp/8000-8999, icmp/8; any
	Rules   []string `json:"rules,omitempty"`
	Reason  string   `json:"reason,omitempty"` // if no rule decides
}

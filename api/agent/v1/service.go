package v1

// Paths of questions about services. They are read with GET; the answer to a question that cannot be answered is status 400
// and text for people.
const (
	PathServices     = "/v1/services"       // ?namespace=&service=&ip=&port=&protocol=&backend=, each as often as wanted: ServiceList
	PathServiceShow  = "/v1/services/show"  // ?of=NAMESPACE/NAME, or ADDRESS:PORT[/PROTOCOL]: ServiceDetail
	PathServiceTrace = "/v1/services/trace" // ?from=CALLER&to=ADDRESS:PORT&protocol=: ServiceTrace
)

// ServiceList are frontends, by service.
type ServiceList struct {
	Frontends []Frontend `json:"frontends"`
	Total     int        `json:"total"` // that there are, whatever was asked for
}

// FrontendKind says what kind of address a frontend has.
type FrontendKind string

// Values of FrontendKind.
const (
	KindClusterIP    FrontendKind = "ClusterIP"
	KindExternalIP   FrontendKind = "ExternalIP"
	KindLoadBalancer FrontendKind = "LoadBalancer"
	KindNodePort     FrontendKind = "NodePort" // at every address of every node
	KindHostPort     FrontendKind = "HostPort" // of a pod, at its node

	KindLocalRedirect FrontendKind = "LocalRedirect" // of a CiliumLocalRedirectPolicy, and no Service
)

// Frontend is an address and port that is translated.
type Frontend struct {
	Namespace       string       `json:"namespace"` // of the Service, or of the pod that has a hostPort
	Name            string       `json:"name"`
	Address         string       `json:"address"`  // of a node port 0.0.0.0 or ::
	Port            uint16       `json:"port"`     // 0: whatever else is sent to a cluster address, which is refused
	Protocol        string       `json:"protocol"` // tcp, udp, sctp
	Kind            FrontendKind `json:"kind"`
	Callers         string       `json:"callers"`                   // cluster: pods and processes of the node; outside: machines beyond it; here: either, at an address of this node; behind: pods that a redirect leads nowhere
	Sources         []string     `json:"sources,omitempty"`         // who of them may call, or may not; none: all
	AffinitySeconds uint32       `json:"affinitySeconds,omitempty"` // 0: none
	Mode            string       `json:"mode,omitempty"`            // how a call from outside reaches a backend of another node: snat, dsr; absent: none comes from outside, or there is no such backend
	Algorithm       string       `json:"algorithm,omitempty"`       // how a backend is chosen: maglev; absent: by chance
	TableSize       uint32       `json:"tableSize,omitempty"`       // elements of the Maglev table
	Redirect        string       `json:"redirect,omitempty"`        // CiliumLocalRedirectPolicy of this namespace that leads it to pods of this node
	Backends        []Backend    `json:"backends"`
	InPlace         bool         `json:"inPlace"`         // the agent has written it to the kernel as it is
	Error           string       `json:"error,omitempty"` // why not; empty: it is about to
}

// BackendState says whether a backend takes new connections.
type BackendState string

// Values of BackendState.
const (
	BackendActive      BackendState = "active"
	BackendTerminating BackendState = "terminating" // keeps its connections and gets no new ones
	BackendFar         BackendState = "far"         // the same, since hints say that others are nearer to this node
)

// Backend is one place that serves a Frontend.
type Backend struct {
	Address string       `json:"address"`
	Port    uint16       `json:"port"`
	State   BackendState `json:"state"`
}

// ServiceDetail is a Service, or a policy that leads calls of an address of its own, what it became, and what of that the kernel has.
type ServiceDetail struct {
	Namespace             string            `json:"namespace"`
	Name                  string            `json:"name"`
	Policy                string            `json:"policy,omitempty"`   // it is of no Service, but of the CiliumLocalRedirectPolicy of this name
	Headless              bool              `json:"headless,omitempty"` // or of type ExternalName: only DNS knows it
	ClusterIPs            []string          `json:"clusterIPs,omitempty"`
	ExternalIPs           []string          `json:"externalIPs,omitempty"` // and addresses of a load balancer
	Ports                 []ServicePort     `json:"ports"`
	Selector              map[string]string `json:"selector,omitempty"`
	AffinitySeconds       uint32            `json:"affinitySeconds,omitempty"`
	InternalTrafficPolicy string            `json:"internalTrafficPolicy"`
	ExternalTrafficPolicy string            `json:"externalTrafficPolicy"`
	HealthCheckNodePort   uint16            `json:"healthCheckNodePort,omitempty"`
	Endpoints             ServiceEndpoints  `json:"endpoints"`
	Frontends             []FrontendDetail  `json:"frontends"`
	Notes                 []string          `json:"notes,omitempty"`  // what keeps the kernel from being compared
	Faults                []string          `json:"faults,omitempty"` // all that tables and kernel do not agree about
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name     string `json:"name,omitempty"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
	NodePort uint16 `json:"nodePort,omitempty"`
}

// ServiceEndpoints counts what the EndpointSlices of a Service name. A terminating endpoint is one that still serves.
type ServiceEndpoints struct {
	Slices      int `json:"slices"`
	Ready       int `json:"ready"`
	Terminating int `json:"terminating"`
	NotReady    int `json:"notReady"`
}

// FrontendDetail is a frontend beside what the kernel has of it.
type FrontendDetail struct {
	Frontend
	Kernel *KernelFrontend `json:"kernel,omitempty"` // absent: map services has no row, or was not read
	Sides  []Side          `json:"sides"`            // its backends, in the table and in the kernel
	Faults []string        `json:"faults,omitempty"`
}

// KernelFrontend is a row of map services.
type KernelFrontend struct {
	Service         uint32 `json:"service"` // its number, under which map slots has its slots
	Slots           int    `json:"slots"`   // that it counts
	AffinitySeconds uint32 `json:"affinitySeconds,omitempty"`
	TableSize       int    `json:"tableSize,omitempty"` // elements of the Maglev table that it names; absent: calls find their backend by chance
}

// Side is one backend, in the table and in the kernel.
type Side struct {
	Slot    *uint32      `json:"slot,omitempty"`    // of map slots; absent: none leads to it
	Backend uint32       `json:"backend,omitempty"` // its number in map backends; 0: it has none
	Kernel  string       `json:"kernel,omitempty"`  // address and port in map backends
	Table   string       `json:"table,omitempty"`   // address and port in table frontends
	State   BackendState `json:"state,omitempty"`   // as the table has it
}

// TraceOutcome is what becomes of a packet that a trace is about.
type TraceOutcome string

// Values of TraceOutcome.
const (
	TraceTranslated TraceOutcome = "translated" // it goes to a backend
	TraceRefused    TraceOutcome = "refused"    // a service is called that has no backend, or no such port
	TracePlain      TraceOutcome = "plain"      // no service is called: it goes on as it is
	TraceElsewhere  TraceOutcome = "elsewhere"  // who calls is not translated by this agent
)

// ServiceTrace says what becomes of the first packet of a call.
type ServiceTrace struct {
	From     string         `json:"from"` // shop/web (10.244.1.5)
	To       string         `json:"to"`   // 10.96.0.10:53/udp
	Node     string         `json:"node"` // the one whose tables and maps these are
	Outcome  TraceOutcome   `json:"outcome"`
	Why      string         `json:"why"`             // the same in a sentence
	Hears    string         `json:"hears,omitempty"` // what the caller hears if it is refused
	Service  string         `json:"service,omitempty"`
	Steps    []TraceStep    `json:"steps"`    // in their order
	Backends []TraceBackend `json:"backends"` // that the packet may go to: of the service, or the address that was called
	Notes    []string       `json:"notes,omitempty"`
	Faults   []string       `json:"faults,omitempty"` // what tables and kernel do not agree about
}

// TraceStep is one question that programs ask on the way.
type TraceStep struct {
	Step   string `json:"step"` // caller, frontend, affinity, backends
	Table  string `json:"table"`
	Kernel string `json:"kernel,omitempty"` // absent: the kernel is not asked
}

// TraceBackend is where the packet may go.
type TraceBackend struct {
	Address string       `json:"address"`          // with the port
	Chance  float64      `json:"chance"`           // 0 to 1
	Path    string       `json:"path"`             // how it gets there
	Policy  *Explanation `json:"policy,omitempty"` // what policies say of that; absent: they are not asked
	Note    string       `json:"note,omitempty"`   // what else keeps it from getting there, or why policies are not asked
}

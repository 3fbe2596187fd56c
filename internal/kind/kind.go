package kind

import (
	"iter"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/language/multi"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table"
)

// Object is an API object with its metadata.
type Object interface {
	runtime.Object
	metav1.Object
}

// Reader is a program, or a part of one, that reads objects of a kind. Several are a sum.
type Reader uint8

// Readers.
const (
	Agent     Reader = 1 << iota // follows them, by internal/source/kube
	Operator                     // follows them
	Inventory                    // weft policy --kubeconfig lists them
	Files                        // weft policy -f makes rows of them
	Webhook                      // the API server asks the operator about each change of one
	Lint                         // weft policy check and the webhook hold them against their schema
)

// Group is an API group in one version.
type Group struct {
	schema.GroupVersion
	Custom  bool // its kinds exist once their CRDs are installed
	install func(*runtime.Scheme) error
	Foreign bool // … which come with another product, and not with the chart
}

var (
	core         = &Group{corev1.SchemeGroupVersion, false, corev1.AddToScheme, false}
	discovery    = &Group{discoveryv1.SchemeGroupVersion, false, discoveryv1.AddToScheme, false}
	networking   = &Group{networkingv1.SchemeGroupVersion, false, networkingv1.AddToScheme, false}
	ciliumIO     = &Group{v2.SchemeGroupVersion, true, v2.AddToScheme, false}
	alpha        = &Group{v2alpha1.SchemeGroupVersion, true, v2alpha1.AddToScheme, false}
	tiers        = &Group{schema.GroupVersion(v1alpha2.GroupVersion), true, v1alpha2.Install, false}
	multiNetwork = &Group{multi.Version, true, multi.Install, false}
	cncf         = &Group{netobject.DefinitionVersion, true, netobject.InstallDefinition, false}
	weftnet      = &Group{netobject.InterfaceVersion, true, netobject.InstallInterface, false}
	virtual      = &Group{kubevirt.Version, true, kubevirt.Install, true}
)

// Kind is one kind of API objects.
type Kind struct {
	Name string
	*Group
	Resource   string // plural, as in paths
	Namespaced bool
	New        func() Object

	Readers  Reader
	Metadata Reader                           // those of Readers that need no more than metadata
	Also     []string                         // other versions, as "cilium.io/v2alpha1", in which files have it
	Only     struct{ Namespace, Name string } // if set, no other object of the kind is read

	// Narrow is what the agent of a node asks for; nil: all objects.
	Narrow func(node string) metav1.ListOptions
	// Guest names what the agent of a node reads of the kind, for each pod of its node; empty: nothing. Nil: it reads what Narrow says.
	Guest func(table.Pod) (name string)
	// Optional is a kind whose CRD a cluster may lack: then there are none, and neither agent nor operator waits for it.
	Optional bool

	// Conditions of an object's status, for verdicts on it; nil: it has none, and an event says the verdict.
	Conditions func(Object) *[]metav1.Condition
	// Lacks is the verdict on every object of a kind that is not enforced at all.
	Lacks string

	policy func(Object) table.PolicyObject   // nil: it is no policy
	gaps   func(Object, gap.World) []gap.Gap // of a kind that is no policy: what keeps an object from being in force; nil: nothing is known to
	fill   func(*Rows, *Kind) Filler         // nil: it makes no rows
}

// Is tells whether one of these reads the kind.
func (k *Kind) Is(readers Reader) bool { return k.Readers&readers != 0 }

// IsPolicy tells whether objects of the kind have rules.
func (k *Kind) IsPolicy() bool { return k.policy != nil }

// Judged tells whether the operator says of each object what is enforced of it.
func (k *Kind) Judged() bool {
	return k.Is(Operator) && (k.IsPolicy() || k.gaps != nil || k.Lacks != "")
}

// Gaps says what keeps an object of a kind that is no policy from being in force as it stands; false: nothing is known of the kind.
func (k *Kind) Gaps(o Object, w gap.World) ([]gap.Gap, bool) {
	if k.gaps == nil {
		return nil, false
	}
	return k.gaps(o, w), true
}

// CRD is the file of the chart that has the CRD of a kind; empty: Kubernetes, or another product, brings the kind along.
func (k *Kind) CRD() string {
	if !k.Custom || k.Foreign {
		return ""
	}
	return k.Group.Group + "_" + k.Resource + ".yaml"
}

// Has tells whether an object is what its readers read: not one of another name where only one counts.
func (k *Kind) Has(namespace, name string) bool {
	return k.Only.Name == "" || k.Only.Name == name && k.Only.Namespace == namespace
}

// ReadBy are the kinds that one of these reads, in the order of All.
func ReadBy(readers Reader) iter.Seq[*Kind] {
	return func(yield func(*Kind) bool) {
		for i := range All {
			if All[i].Is(readers) && !yield(&All[i]) {
				return
			}
		}
	}
}

// Named finds a kind by its name; nil: there is none.
func Named(name string) *Kind {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}

// Find finds a kind by what an object says that it is; nil: there is none.
func Find(apiVersion, name string) *Kind {
	k := Named(name)
	if k == nil || k.GroupVersion.String() != apiVersion && !slices.Contains(k.Also, apiVersion) {
		return nil
	}
	return k
}

// Groups are the API groups of the kinds that one of these reads.
func Groups(readers Reader) (out []*Group) {
	seen := map[*Group]bool{}
	for k := range ReadBy(readers) {
		if !seen[k.Group] {
			seen[k.Group] = true
			out = append(out, k.Group)
		}
	}
	return out
}

func allGroups() []*Group {
	return []*Group{core, discovery, networking, ciliumIO, alpha, tiers, cncf, multiNetwork, weftnet, virtual}
}

// Install teaches a scheme the types of all kinds. Its error is that two types claim one name.
func Install(into *runtime.Scheme) error {
	for _, g := range allGroups() {
		if err := g.install(into); err != nil {
			return err
		}
	}
	return nil
}

// Scheme knows the types of all kinds. It is one for all: nothing adds to it.
func Scheme() *runtime.Scheme { return scheme() }

var scheme = sync.OnceValue(func() *runtime.Scheme {
	out := runtime.NewScheme()
	if err := Install(out); err != nil {
		panic(err) // a mistake in this program
	}
	metav1.AddToGroupVersion(out, schema.GroupVersion{Version: "v1"})
	return out
})

// Policy reads an object of a kind that has rules.
func Policy(o Object) table.PolicyObject {
	for i := range All {
		if k := &All[i]; k.policy != nil && sameType(k.New(), o) {
			return k.policy(o)
		}
	}
	return table.PolicyObject{}
}

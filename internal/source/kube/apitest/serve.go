package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if code := s.fail(r); code != 0 {
			reason := metav1.StatusReasonInternalError
			switch code {
			case http.StatusTooManyRequests:
				reason = metav1.StatusReasonTooManyRequests
			case http.StatusNotFound:
				reason = metav1.StatusReasonNotFound
			}
			refuse(w, code, reason, "this test lets requests fail")
			return
		}
	}
	p := parse(r.URL.Path)
	switch {
	case custom(p.group) && p.resource == "" && r.Method == http.MethodGet:
		s.discover(w, p)
	case custom(p.group) && !s.served[p.resource]:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	case r.Method == http.MethodGet && p.name != "":
		s.one(w, r)
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		s.watch(w, r, p)
	case r.Method == http.MethodGet:
		s.list(w, r, p)
	case r.Method == http.MethodPost && p.name == "":
		s.create(w, r)
	case r.Method == http.MethodPut && p.name != "":
		s.update(w, r, p)
	case r.Method == http.MethodDelete && p.name != "":
		s.delete(w, r)
	default:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method+" "+r.URL.Path)
	}
}

// tiered is a resource with a CRD that is not of cilium.io, and its group.
const tiered, tieredGroup = "clusternetworkpolicies", "policy.networking.k8s.io"

// custom tells whether the resources of a group have CRDs.
func custom(group string) bool {
	return group == "cilium.io" || group == tieredGroup || group == virtual || group == "whereabouts.cni.cncf.io"
}

// virtual is the group of machines.
const virtual = "kubevirt.io"

// has tells whether a resource that has a CRD is of a group.
func has(group, resource string) bool {
	home, other := map[string]string{tiered: tieredGroup, "virtualmachines": virtual, "virtualmachineinstances": virtual}[resource]
	return other && home == group || !other && group != tieredGroup && group != virtual
}

func (s *Server) discover(w http.ResponseWriter, p target) {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: p.apiVersion()}
	for name := range s.served {
		if has(p.group, name) {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
		}
	}
	if len(list.APIResources) == 0 {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	encode(w, http.StatusOK, list)
}

// shape gives the object in the form that the client asked for: whole, or its metadata.
func shape(r *http.Request, u *unstructured.Unstructured) map[string]any {
	if !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		return u.Object
	}
	return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": u.Object["metadata"]}
}

func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	u := s.objects[r.URL.Path]
	if u == nil {
		s.missing(w, r)
		return
	}
	encode(w, http.StatusOK, shape(r, u))
}

func (s *Server) missing(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, r.URL.Path+" not found")
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, p target) {
	sel, err := selectors(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	items := []any{}
	kind, version := kindOf(p)+"List", p.apiVersion()
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	for _, path := range s.sorted() {
		u := s.objects[path]
		if !p.matches(path) || !sel.matches(u) {
			continue
		}
		items = append(items, shape(r, u))
	}
	encode(w, http.StatusOK, map[string]any{
		"kind": kind, "apiVersion": version, "items": items,
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)},
	})
}

// kindOf is the kind of the objects of a resource.
func kindOf(p target) string {
	return map[string]string{
		"configmaps": "ConfigMap", "nodes": "Node", "namespaces": "Namespace", "pods": "Pod", "services": "Service",
		"events": "Event", "endpointslices": "EndpointSlice", "networkpolicies": "NetworkPolicy", "ciliumnodes": "CiliumNode",
		"ciliumidentities": "CiliumIdentity", "ciliumendpoints": "CiliumEndpoint", "ciliumnetworkpolicies": "CiliumNetworkPolicy",
		"ciliumclusterwidenetworkpolicies": "CiliumClusterwideNetworkPolicy", "ciliumbandwidthpolicies": "CiliumBandwidthPolicy",
		"ciliumloadbalancerippools": "CiliumLoadBalancerIPPool", "ciliumcidrgroups": "CiliumCIDRGroup", "ciliumpodippools": "CiliumPodIPPool",
		tiered: "ClusterNetworkPolicy", "addressblocks": "AddressBlock", "stickyaddresses": "StickyAddress", "ipamclaims": "IPAMClaim",
		"podinterfaces": "PodInterface", "overlaynetworks": "OverlayNetwork", "multi-networkpolicies": "MultiNetworkPolicy",
		"ippools": "IPPool", "overlappingrangeipreservations": "OverlappingRangeIPReservation", "nodeslicepools": "NodeSlicePool",
		"networks": "Network", "network-attachment-definitions": "NetworkAttachmentDefinition", "deployments": "Deployment",
		"virtualmachines": "VirtualMachine", "virtualmachineinstances": "VirtualMachineInstance",
	}[p.resource]
}

func (s *Server) sorted() []string {
	paths := make([]string, 0, len(s.objects))
	for path := range s.objects {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// watch streams events. It gives up the lock while it waits.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, p target) {
	sel, err := selectors(r)
	initial := r.URL.Query().Get("sendInitialEvents") != ""
	since, convErr := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil || convErr != nil && !initial {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprint(err, convErr))
		return
	}
	out := json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/json")
	if initial {
		s.stream(out, r, p, sel)
		since = s.version
	}
	for {
		if since < s.forgot {
			_ = out.Encode(map[string]any{"type": "ERROR", "object": metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
				Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old resource version",
			}})
			return
		}
		for _, e := range s.events {
			if e.version <= since || !p.matches(e.path) {
				continue
			}
			if kind := sel.seen(e); kind != "" {
				_ = out.Encode(map[string]any{"type": kind, "object": shape(r, e.object)})
			}
		}
		since = s.version
		w.(http.Flusher).Flush()
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		case <-s.closed:
		}
		s.mu.Lock()
		select {
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		default:
		}
	}
}

// stream sends what is there as events, and the bookmark that says that this was all.
func (s *Server) stream(out *json.Encoder, r *http.Request, p target, sel selector) {
	for _, path := range s.sorted() {
		if u := s.objects[path]; p.matches(path) && sel.matches(u) {
			_ = out.Encode(map[string]any{"type": "ADDED", "object": shape(r, u)})
		}
	}
	end := &unstructured.Unstructured{Object: map[string]any{}}
	end.SetKind(kindOf(p))
	end.SetAPIVersion(p.apiVersion())
	end.SetResourceVersion(strconv.Itoa(s.version))
	end.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	_ = out.Encode(map[string]any{"type": "BOOKMARK", "object": shape(r, end)})
}

// seen is what an event is for a watcher with a selector: an object that stops matching is deleted to it.
func (s selector) seen(e event) string {
	before := e.kind != "ADDED" && s.matches(e.old)
	after := e.kind != "DELETED" && s.matches(e.object)
	switch {
	case before && after:
		return "MODIFIED"
	case before:
		return "DELETED"
	case after:
		return "ADDED"
	}
	return ""
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	u, ok := s.body(w, r)
	if !ok {
		return
	}
	if u.GetName() == "" {
		u.SetName(u.GetGenerateName() + strconv.Itoa(s.version+1))
	}
	path := r.URL.Path + "/" + u.GetName()
	if s.objects[path] != nil {
		refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, path+" already exists")
		return
	}
	u.SetNamespace(parse(path).namespace)
	s.store(path, u, nil)
	encode(w, http.StatusCreated, u.Object)
}

func (s *Server) update(w http.ResponseWriter, r *http.Request, p target) {
	u, ok := s.body(w, r)
	if !ok {
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/"+p.sub)
	old := s.objects[path]
	if old == nil {
		s.missing(w, r)
		return
	}
	if v := u.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, path+": the object has been modified")
		return
	}
	if p.sub == "status" {
		status := u.Object["status"]
		u = old.DeepCopy()
		u.Object["status"] = status
	}
	u.SetUID(old.GetUID())
	u.SetCreationTimestamp(old.GetCreationTimestamp())
	s.store(path, u, old)
	encode(w, http.StatusOK, u.Object)
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	var o metav1.DeleteOptions
	_ = json.NewDecoder(r.Body).Decode(&o) // without a body there are no preconditions
	u := s.objects[r.URL.Path]
	if u == nil {
		s.missing(w, r)
		return
	}
	if pre := o.Preconditions; pre != nil {
		if pre.UID != nil && *pre.UID != u.GetUID() || pre.ResourceVersion != nil && *pre.ResourceVersion != u.GetResourceVersion() {
			refuse(w, http.StatusConflict, metav1.StatusReasonConflict, r.URL.Path+": a precondition does not hold")
			return
		}
	}
	s.remove(r.URL.Path)
	encode(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
}

func (s *Server) body(w http.ResponseWriter, r *http.Request) (*unstructured.Unstructured, bool) {
	u := &unstructured.Unstructured{}
	if err := json.NewDecoder(r.Body).Decode(&u.Object); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return nil, false
	}
	return u, true
}

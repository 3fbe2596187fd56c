// Package apitest is a small Kubernetes API server for tests: it keeps objects of any kind in memory and does with them
// what clients depend on.
//
// # The world it models
//
// Objects have a path, /apis/GROUP/VERSION[/namespaces/NS]/RESOURCE/NAME, and a resource version that grows with every
// change of anything. Creating what exists is AlreadyExists; updating with an older resource version, or deleting against
// a precondition, is Conflict; a create gives a uid. Lists and watches take label selectors and field selectors on any
// path; a watch replays what happened since a resource version, or answers Expired if it is told to forget. A resource of
// cilium.io or of whereabouts, and clusternetworkpolicies, exists once it is served (Serve), as with CRDs; all other kinds always do.
//
// It does not validate, default, or authorise, and it speaks JSON only.
//
// # Example
//
//	server := apitest.New(t)
//	server.Put("/api/v1/namespaces/shop/pods/web", &corev1.Pod{…})
//	client, err := rest.RESTClientFor(server.Config())
//	server.Fail(func(r *http.Request) int { return 500 }) // from now on, until Fail(nil)
package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
)

// Test is what of a *testing.T the server needs.
type Test interface {
	Errorf(format string, args ...any)
	Cleanup(func())
}

// Server is the API server.
type Server struct {
	t    Test
	http *httptest.Server

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	events  []event                               // all that happened since forgotten
	forgot  int                                   // resource version up to which events are gone
	version int
	served  map[string]bool // resources that have CRDs
	fail    func(*http.Request) int
	changed chan struct{} // closes with the next event
	closed  chan struct{}
}

type event struct {
	version int
	kind    string // ADDED, MODIFIED, DELETED
	path    string
	object  *unstructured.Unstructured
	old     *unstructured.Unstructured
}

// New starts a server that ends with the test.
func New(t Test) *Server {
	s := &Server{
		t: t, objects: map[string]*unstructured.Unstructured{}, served: map[string]bool{},
		changed: make(chan struct{}), closed: make(chan struct{}),
	}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.closed)
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Config is how to reach the server.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: s.http.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
}

// Serve makes resources of cilium.io/v2 exist, or clusternetworkpolicies, or those of kubevirt.io.
func (s *Server) Serve(resources ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range resources {
		s.served[r] = true
	}
}

// Fail makes every request fail with the status code that fail returns; 0 lets it pass. The server holds its lock while
// it calls.
func (s *Server) Fail(fail func(r *http.Request) (code int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// Forget makes watches from any earlier resource version expire, and ends those that run.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.forgot, s.events = s.version, nil
	s.wake()
}

// Put stores an object under its path, whatever is there.
func (s *Server) Put(path string, object runtime.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.read(path, object)
	old := s.objects[path]
	if old != nil {
		u.SetUID(old.GetUID())
	}
	s.store(path, u, old)
}

// Delete removes the object at a path.
func (s *Server) Delete(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(path)
}

// Get reads the object at a path into one of its type, and tells whether there is any.
func (s *Server) Get(path string, into any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.objects[path]
	if u == nil {
		return false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		s.t.Errorf("read %s: %v", path, err)
	}
	return true
}

// Paths lists where there are objects below a prefix.
func (s *Server) Paths(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.objects)), func(p string) bool { return !strings.HasPrefix(p, prefix) })
}

func (s *Server) read(path string, object runtime.Object) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		s.t.Errorf("store %s: %v", path, err)
	}
	u := &unstructured.Unstructured{}
	if err := again(content, &u.Object); err != nil {
		s.t.Errorf("store %s: %v", path, err)
	}
	p := parse(path)
	u.SetName(p.name)
	u.SetNamespace(p.namespace)
	u.SetKind(kindOf(p))
	u.SetAPIVersion(p.apiVersion())
	return u
}

// again reads what has been converted as a server reads it: numbers that have no sign are none that it could copy.
func again(content map[string]any, into *map[string]any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return utiljson.Unmarshal(text, into)
}

func (s *Server) store(path string, u, old *unstructured.Unstructured) {
	s.version++
	u.SetResourceVersion(strconv.Itoa(s.version))
	kind := "MODIFIED"
	if old == nil {
		kind = "ADDED"
	}
	if u.GetUID() == "" {
		u.SetUID(types.UID(fmt.Sprintf("uid-%d", s.version)))
	}
	if at := u.GetCreationTimestamp(); at.IsZero() {
		u.SetCreationTimestamp(metav1.Now())
	}
	s.objects[path] = u
	s.events = append(s.events, event{s.version, kind, path, u, old})
	s.wake()
}

func (s *Server) remove(path string) {
	old := s.objects[path]
	if old == nil {
		return
	}
	delete(s.objects, path)
	s.version++
	gone := old.DeepCopy()
	gone.SetResourceVersion(strconv.Itoa(s.version))
	s.events = append(s.events, event{s.version, "DELETED", path, gone, old})
	s.wake()
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// target is what a path names.
type target struct {
	group, version, namespace, resource, name, sub string
}

func parse(path string) (p target) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "apis" && len(parts) > 2 {
		p.group, p.version, parts = parts[1], parts[2], parts[3:]
	} else if parts[0] == "api" && len(parts) > 1 {
		p.version, parts = parts[1], parts[2:]
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		p.namespace, parts = parts[1], parts[2:]
	}
	at := []*string{&p.resource, &p.name, &p.sub}
	for i := range min(len(parts), len(at)) {
		*at[i] = parts[i]
	}
	return p
}

func (p target) apiVersion() string { return strings.TrimPrefix(p.group+"/"+p.version, "/") }

// matches tells whether an object at a path is in the list that p names.
func (p target) matches(path string) bool {
	o := parse(path)
	return o.group == p.group && o.version == p.version && o.resource == p.resource &&
		(p.namespace == "" || p.namespace == o.namespace)
}

type selector struct {
	labels labels.Selector
	fields fields.Selector
}

func selectors(r *http.Request) (sel selector, err error) {
	if sel.labels, err = labels.Parse(r.URL.Query().Get("labelSelector")); err == nil {
		sel.fields, err = fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	}
	return sel, err
}

func (s selector) matches(u *unstructured.Unstructured) bool {
	if u == nil || !s.labels.Matches(labels.Set(u.GetLabels())) {
		return false
	}
	for _, want := range s.fields.Requirements() {
		have, there, _ := unstructured.NestedFieldNoCopy(u.Object, strings.Split(want.Field, ".")...)
		if !there && want.Value != "" || there && fmt.Sprint(have) != want.Value {
			return false
		}
	}
	return true
}

func encode(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	encode(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

// Changed returns a channel that closes with the next change of anything.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

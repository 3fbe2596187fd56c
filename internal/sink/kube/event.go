package kube

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/sink/kube/object"
)

// Events tells people about objects, where "kubectl describe" shows it.
type Events struct {
	component string
	host      string
	api       object.Client[corev1.Event, *corev1.Event]
}

// NewEvents makes events that name a component ("weft-agent") and the node it runs on as their source.
func NewEvents(api *rest.Config, component, host string) (*Events, error) {
	client, err := connect[corev1.Event](api, corev1.SchemeGroupVersion, "events")
	return &Events{component, host, client}, err
}

// Warn writes an event of type Warning about an object. The same event again raises the count of the first.
func (e *Events) Warn(ctx context.Context, about corev1.ObjectReference, reason, message string) error {
	return e.write(ctx, corev1.EventTypeWarning, about, reason, message)
}

// Tell writes one of type Normal.
func (e *Events) Tell(ctx context.Context, about corev1.ObjectReference, reason, message string) error {
	return e.write(ctx, corev1.EventTypeNormal, about, reason, message)
}

func (e *Events) write(ctx context.Context, kind string, about corev1.ObjectReference, reason, message string) error {
	now := metav1.NewTime(time.Now())
	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: about.Namespace, Name: about.Name + "." + fingerprint(about, reason, message)},
		InvolvedObject: about, Reason: reason, Message: message, Type: kind,
		Source:         corev1.EventSource{Component: e.component, Host: e.host},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		ReportingController: e.component, ReportingInstance: e.host,
	}
	if event.Namespace == "" {
		event.Namespace = metav1.NamespaceDefault
	}
	err := e.api.Create(ctx, event)
	if !apierrors.IsAlreadyExists(err) {
		return wrap(err, event)
	}
	first, err := e.api.Get(ctx, event.Namespace, event.Name)
	if err != nil {
		return wrap(err, event)
	}
	first.Count++
	first.LastTimestamp = now
	return wrap(e.api.Update(ctx, first), event)
}

func wrap(err error, event *corev1.Event) error {
	if err == nil {
		return nil
	}
	about := event.InvolvedObject
	return fmt.Errorf("write event %s about %s %s/%s: %w", event.Reason, about.Kind, about.Namespace, about.Name, err)
}

func fingerprint(about corev1.ObjectReference, reason, message string) string {
	h := fnv.New64a()
	for _, part := range []string{about.Kind, string(about.UID), reason, message} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

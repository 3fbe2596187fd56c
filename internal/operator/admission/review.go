package admission

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/lint/network"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
)

// maxBody bounds a review, in bytes: two objects of the size that etcd takes.
const maxBody = 4 << 20

// maxWarnings bounds what an answer says, in bytes: the API server cuts what is longer.
const maxWarnings = 4000

// Reviewer answers reviews of policies and of NetworkAttachmentDefinitions.
type Reviewer struct {
	Running func(context.Context) []identity.Labels // label sets of the workloads of the cluster; nil: not known
	World   func(context.Context) *gap.World        // … of settings and objects that policies depend on
	Log     *slog.Logger
}

// ServeHTTP answers one review.
func (v *Reviewer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err != nil || review.Request == nil {
		http.Error(w, "the body is no AdmissionReview with a request", http.StatusBadRequest)
		return
	}
	review.Response = v.answer(r.Context(), review.Request)
	if !review.Response.Allowed {
		v.Log.Info("refused an object", "kind", review.Request.Kind.Kind, "namespace", review.Request.Namespace, "name", review.Request.Name,
			"user", review.Request.UserInfo.Username, "why", review.Response.Result.Message)
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the asker has gone
}

func (v *Reviewer) answer(ctx context.Context, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	out := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: true}
	if len(r.Object.Raw) == 0 {
		return out // a deletion
	}
	var o lint.Options
	if v.Running != nil {
		o.Running = v.Running(ctx)
	}
	if v.World != nil {
		o.World = v.World(ctx)
	}
	before := map[string]bool{} // errors of the object as it was
	for _, f := range findings(r.OldObject.Raw, o) {
		before[f.Sentence()] = f.Severity == lint.Error
	}
	var refused []string
	size := 0
	for _, f := range findings(r.Object.Raw, o) {
		text := f.Sentence()
		switch {
		case f.Severity == lint.Error && !before[text]:
			refused = append(refused, text)
		case f.Severity.AtLeast(lint.Warning) && size+len(text) <= maxWarnings:
			size += len(text)
			out.Warnings = append(out.Warnings, text)
		}
	}
	if len(refused) > 0 {
		out.Allowed, out.Warnings = false, nil
		out.Result = &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: strings.Join(refused, "; "),
		}
	}
	return out
}

// findings are those about one object that stand whatever is applied after it: that no workload has the labels that it selects
// may change in a second.
func findings(text []byte, o lint.Options) (out []lint.Finding) {
	if len(text) == 0 {
		return nil
	}
	objects, problems := manifest.Read("", text)
	if slices.ContainsFunc(objects, network.IsDefinition) {
		return network.Check(objects, problems)
	}
	for _, f := range lint.Check(objects, problems, o) {
		if f.Check != "selects-nothing" {
			out = append(out, f)
		}
	}
	return out
}

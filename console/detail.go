package console

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/evidence"
)

// one is the attack a URL names, or nil after an answer.
func (c *Console) one(w http.ResponseWriter, r *http.Request) *attack.Record {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 62)
	if err != nil {
		fail(w, http.StatusNotFound, "an attack's address ends in its number")
		return nil
	}
	a, err := c.index.Get(r.Context(), id)
	if broken(w, err) {
		return nil
	}
	if a == nil {
		fail(w, http.StatusNotFound, "there is no attack "+strconv.FormatUint(id, 10))
	}
	return a
}

type alertDetail struct {
	attack.AlertCount
	Rule string `json:"rule"`
	File string `json:"file"`
	Line int    `json:"line"`
}

type sourceDetail struct {
	IP           string `json:"ip"`
	Observations uint64 `json:"observations"`
	Country      string `json:"country"`
}

func (c *Console) attack(w http.ResponseWriter, r *http.Request) {
	a := c.one(w, r)
	if a == nil {
		return
	}
	alerts := []alertDetail{}
	for _, x := range a.Alerts {
		t, _ := c.opt.Inspector.Rule(x.GID, x.SID)
		alerts = append(alerts, alertDetail{x, t.Text, t.File, t.Line})
	}
	sources := []sourceDetail{}
	for _, s := range a.Origin.Sources {
		sources = append(sources, sourceDetail{s.IP, s.Count, c.places.Country(s.IP)})
	}
	definition := ""
	if i := attack.ClassIndex(a.Class); i >= 0 {
		definition = classDefinition(&attack.Table()[i])
	}
	related, _, err := c.index.List(r.Context(), &index.Filter{Incident: strconv.FormatUint(a.Incident, 10)}, "first_seen", relatedMax+1, 0)
	if broken(w, err) {
		return
	}
	others := []row{}
	for i := range related {
		if related[i].ID != a.ID && len(others) < relatedMax && a.Incident != 0 {
			others = append(others, c.row(&related[i]))
		}
	}
	frames, _ := c.frames(a)
	answer(w, struct {
		row
		Origin     any           `json:"origin_detail"`
		Target     any           `json:"target_detail"`
		Alerts     []alertDetail `json:"alerts_detail"`
		Detectors  []string      `json:"detectors"`
		Definition string        `json:"class_definition"`
		Related    []row         `json:"related"`
		Kept       int           `json:"packets_kept"`
		Hash       string        `json:"packets_hash"`
		Withdrawn  string        `json:"withdrawn"` // the correction's reason; "": it counts
	}{c.row(a), map[string]any{
		"ip": a.Origin.IP, "prefix": a.Origin.Prefix, "mac": a.Origin.MAC, "vlan": a.Origin.VLAN, "domain": a.Origin.Domain,
		"proven": a.Origin.Proven, "sources": sources, "sources_count": a.Origin.Count,
	}, map[string]any{
		"group": a.Target.Group, "ips": list(a.Target.IPs), "ports": list(a.Target.Ports), "proto": a.Target.Proto, "count": a.Target.Count,
	}, alerts, list(a.Detectors), definition, others, len(frames), a.Evidence.Packets, c.gone[a.Evidence.Leaf].Reason})
}

// frames are the packets kept of an attack: sealed ones from the evidence, else what was told while it is open.
func (c *Console) frames(a *attack.Record) ([]Frame, error) {
	if a.Evidence.Leaf < 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		frames := append([]Frame(nil), c.packets[a.ID]...)
		for i := range frames {
			c.opt.Inspector.Describe(&frames[i])
		}
		return frames, nil
	}
	if a.Evidence.Packets == "" {
		return nil, nil
	}
	pcap, err := evidence.ReadPackets(c.opt.Evidence, a.Evidence.Leaf)
	if err != nil {
		return nil, err
	}
	return c.opt.Inspector.Frames(pcap)
}

// keptFrames is frames with an answer when they cannot be had.
func (c *Console) keptFrames(w http.ResponseWriter, a *attack.Record) ([]Frame, bool) {
	frames, err := c.frames(a)
	switch {
	case errors.Is(err, evidence.ErrErased):
		fail(w, http.StatusGone, "the packets of this attack were erased or fell to retention; its count stays proven")
		return nil, false
	case err != nil:
		fail(w, http.StatusInternalServerError, err.Error())
		return nil, false
	}
	return frames, true
}

func (c *Console) packetList(w http.ResponseWriter, r *http.Request) {
	a := c.one(w, r)
	if a == nil {
		return
	}
	frames, ok := c.keptFrames(w, a)
	if !ok {
		return
	}
	q := r.URL.Query()
	offset := bounded(q, "offset", 0, 0, len(frames))
	limit := bounded(q, "limit", 50, 1, listMax)
	type packet struct {
		N       int      `json:"n"`
		Time    string   `json:"time_ns"`
		Wire    uint32   `json:"wire"`
		Data    []byte   `json:"data"`
		Summary string   `json:"summary"`
		Payload int      `json:"payload_offset"`
		Marks   [][2]int `json:"marks"`
	}
	items := []packet{}
	link := uint16(0)
	for i := offset; i < min(len(frames), offset+limit); i++ {
		f := &frames[i]
		link = f.Link
		items = append(items, packet{i + 1, strconv.FormatInt(f.Time, 10), f.Wire, f.Data, f.Summary, f.PayloadOffset, list(c.opt.Inspector.Marks(a.Alerts, f))})
	}
	answer(w, map[string]any{"total": len(frames), "link": link, "items": items})
}

func (c *Console) packetFile(w http.ResponseWriter, r *http.Request) {
	a := c.one(w, r)
	if a == nil {
		return
	}
	frames, ok := c.keptFrames(w, a)
	if !ok {
		return
	}
	if len(frames) == 0 {
		fail(w, http.StatusNotFound, "no packets are kept with this attack")
		return
	}
	file := c.opt.Inspector.Capture(frames)
	if a.Evidence.Leaf >= 0 { // the very bytes whose hash the log holds
		if kept, err := evidence.ReadPackets(c.opt.Evidence, a.Evidence.Leaf); err == nil {
			file = kept
		}
	}
	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="attack-%d.pcap"`, a.ID))
	_, _ = w.Write(file)
}

// caveats stand beside every proof.
var caveats = []string{
	"The proof shows that this record was in the log when the checkpoint was signed, and has not changed since.",
	"It does not show that the attack was not staged, nor who stood behind an address, nor anything that was never captured.",
	"Only a checkpoint that others have cosigned shows when it existed and that there is one history for everyone; this one bears the log's own signature.",
}

func (c *Console) proof(w http.ResponseWriter, r *http.Request) {
	a := c.one(w, r)
	if a == nil {
		return
	}
	if a.Evidence.Leaf < 0 {
		answer(w, map[string]any{"sealed": false, "caveats": []string{"This attack is not sealed yet: it is sealed when it has been quiet for its class's gap."}})
		return
	}
	p, err := evidence.ReadProof(c.opt.Evidence, a.Evidence.Leaf)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	leaf, err := evidence.ReadAttackLeaf(p.Leaf)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	path := []string{}
	for _, h := range p.Path {
		path = append(path, hex.EncodeToString(h))
	}
	type opening struct {
		Salt  []byte `json:"salt"`
		Value []byte `json:"value"`
	}
	var openings []opening // null when the private part is erased
	if all, err := evidence.Openings(c.opt.Evidence, a.Evidence.Leaf); err == nil {
		for _, o := range all {
			openings = append(openings, opening(o))
		}
	}
	answer(w, map[string]any{
		"sealed": true, "index": p.Index, "leaf": hex.EncodeToString(p.Leaf), "size": p.Size, "path": path, "root": hex.EncodeToString(p.Root),
		"checkpoint": string(p.Checkpoint), "verifier": p.Verifier, "key_fingerprint": evidence.Fingerprint(p.Verifier), "ordinal": leaf.Ordinal,
		"cell":     map[string]string{"class": a.Class, "outcome": a.Outcome, "result": a.Result, "risk": a.Risk, "side": a.Side},
		"openings": openings, "caveats": caveats,
	})
}

//go:build amd64 || arm64

package confine

// Apply confines the process. What this kernel lacks is in the report; an error is something that it has and that went
// wrong, or a user that cannot be become: the process may then be confined in part and must end.
func Apply(o Options) (*Report, error) {
	r := &Report{}
	steps := []func(*Options, *Report) error{drop, landlock, seccomp}
	if o.Off {
		steps = steps[:1]
	}
	for _, step := range steps {
		if err := step(&o, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

package dcerpc

// knownName returns the text of a UUID without allocating for interfaces seen every day.
func knownName(text []byte) string {
	for _, s := range known {
		if s == string(text) { // no allocation: comparison only
			return s
		}
	}
	return string(text)
}

// known are interfaces of daily traffic and of the attacks the own rules look for (MS-* documents).
var known = [...]string{
	"12345778-1234-abcd-ef00-0123456789ab", // lsarpc
	"12345778-1234-abcd-ef00-0123456789ac", // samr
	netlogon,
	"4b324fc8-1670-01d3-1278-5a47bf6ee188", // srvsvc
	"6bffd098-a112-3610-9833-46c3f87e345a", // wkssvc
	"367abb81-9844-35f1-ad32-98f038001003", // svcctl
	"338cd001-2244-31f1-aaaa-900038001003", // winreg
	"12345678-1234-abcd-ef00-0123456789ab", // spoolss
	"76f03f96-cdfd-44fc-a22c-64950a001209", // IRemoteWinspool (PAR)
	"c681d488-d850-11d0-8c52-00c04fd90f7e", // efsrpc on lsarpc
	"df1941c5-fe89-4e79-bf10-463657acf44d", // efsrpc
	"4fc742e0-4a10-11cf-8273-00aa004ae673", // netdfs
	"a8e0653c-2744-4389-a61d-7373df8b2292", // FileServerVssAgent
	"e3514235-4b06-11d1-ab04-00c04fc2dcd2", // drsuapi
	"1ff70682-0a51-30e8-076d-740be8cee98b", // atsvc
	"86d35949-83c9-4044-b424-db363231fd0c", // ITaskSchedulerService
	"e1af8308-5d1f-11c9-91a4-08002b14a0fa", // epmapper
	"000001a0-0000-0000-c000-000000000046", // IRemoteSCMActivator
	"4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", // IActivation
	"99fcfec4-5260-101b-bbcb-00aa0021347a", // IOXIDResolver
	"00000131-0000-0000-c000-000000000046", // IRemUnknown
	"00000143-0000-0000-c000-000000000046", // IRemUnknown2
	"00020400-0000-0000-c000-000000000046", // IDispatch
	"9556dc99-828c-11cf-a37e-00aa003240c7", // IWbemServices
	"f309ad18-d86a-11d0-a075-00c04fb68820", // IWbemLevel1Login
	"d4781cd6-e5d3-44df-ad94-930efe48a887", // IWbemLoginClientID
	"423ec01e-2e35-11d2-b604-00104b703efd", // IWbemWCOSmartEnum
}

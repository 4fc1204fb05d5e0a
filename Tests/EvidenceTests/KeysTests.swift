import Evidence
import Foundation
import TestSupport
import Testing
import Wire

@Suite("The keys for Wireshark")
struct KeysTests {
    @Test("a key is a line in the form that Wireshark reads")
    func format() {
        let text = String(decoding: WiresharkKeys.table(Sealed.keys), as: UTF8.self)
        #expect(
            text == """
                "10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F","Normal","network"
                "50:51:52:53:54:55:56:57:58:59:5A:5B:5C:5D:5E:5F","Normal","PPMID link"

                """)
        #expect(WiresharkKeys.table([]).isEmpty)
    }

    @Test(
        "tshark shows a label as it was given",
        arguments: [#"a "quoted", \x41 label"#, "wohnung – naïve", "# not a comment", "two\nlines"])
    func labels(label: String) throws {
        let evidence = try Evidence(keys: [(key: Sealed.linkKey, label: label)]) { recorder in
            recorder.record(frame: frame(1, Sealed.conversation[1]))
        }
        let shown = try evidence.rows(["zbee.sec.decryption_key"])[0]["zbee.sec.decryption_key"]
        #expect(shown == label.replacingOccurrences(of: "\n", with: "\\n"))
    }

    @Test(
        "the command that opens the capture finds the keys, wherever the folder is",
        arguments: ["plain", "with space", "it's", "$HOME `ls` \\ \"q\"", "-dash", "a;b&c|d", "*?"])
    func openCommand(name: String) throws {
        let scratch = try TemporaryFolder()
        for path in [scratch.path(name), "./" + name] {
            let folder = try OutputFolder(preparing: scratch.path(name))
            let recorder = try Recorder(roster: roster, start: start, steps: [], folder: folder)
            for (index, bytes) in Sealed.conversation.enumerated() {
                recorder.record(frame: frame(UInt64(index + 1), bytes))
            }
            try recorder.finish()
            try folder.write(WiresharkKeys.table(Sealed.keys), to: .keys)

            // tshark reads its configuration and its arguments as Wireshark does.
            let command = WiresharkKeys.openCommand(
                folder: OutputFolder(existing: path), program: "tshark")
            let run = try Command.run(
                "sh", ["-c", command], environment: ["HOME": scratch.path], in: scratch.url)
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("Query Next Image Response"))
            #expect(!run.output.contains("Encrypted"))
        }
    }

    @Test("the command starts Wireshark unless told otherwise")
    func program() {
        let command = WiresharkKeys.openCommand(folder: OutputFolder(existing: "out"))
        #expect(command == "WIRESHARK_CONFIG_DIR=out wireshark -r out/trace.pcapng")
    }
}

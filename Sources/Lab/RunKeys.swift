import Evidence
import Wire

/// A run's keys in Wireshark's format, written as soon as they are known, so that the capture of a
/// run that is killed can be read.
final class RunKeys {
    private let folder: OutputFolder?
    private let linkKeys: [(key: Key128, label: String)]
    private var networkKeys: [Key128] = []
    /// The first thing that went wrong while a run went on.
    private(set) var trouble: EvidenceError?

    init(home: Home, folder: OutputFolder?) {
        self.folder = folder
        linkKeys = home.devices.map {
            ($0.installCode.linkKey, "\($0.name) install code link key")
        }
    }

    /// Writes the keys that are known before the run.
    func begin() throws(EvidenceError) { try write() }

    /// Writes them again if the network key is new.
    func learn(_ networkKey: Key128) {
        guard !networkKeys.contains(networkKey) else { return }
        networkKeys.append(networkKey)
        do {
            try write()
        } catch {
            trouble = trouble ?? error
        }
    }

    private func write() throws(EvidenceError) {
        let keys = networkKeys.map { (key: $0, label: "network key") } + linkKeys
        try folder?.write(WiresharkKeys.table(keys), to: .keys)
    }
}

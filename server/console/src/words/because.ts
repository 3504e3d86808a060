// The collector explains a score in English sentences. In Chinese the console says the same; a sentence
// that it does not know is shown as it came, never dropped.
const chinese: ReadonlyArray<readonly [RegExp, string]> = [
  [/^a cloud access key$/, "云访问密钥"],
  [/^a private key$/, "私钥"],
  [/^a service's token$/, "服务令牌"],
  [/^a short-lived cloud credential$/, "短期云凭证"],
  [/^the secret half of a cloud access key$/, "云访问密钥的密钥部分"],
  [/^a password$/, "密码"],
  [/^an id alone, which is no leak$/, "仅有 ID，不构成泄露"],
  [/^a credential of a kind unknown here$/, "类型未知的凭据"],
  [/^a checksum or structure was verified$/, "校验和或结构已核实"],
  [/^id and secret lie together$/, "ID 与密钥位于同一处"],
  [/^its format says what it is$/, "格式表明其身份"],
  [/^a name beside it says what it is$/, "旁边的名称表明其身份"],
  [/^a sample, a hash or a failed proof$/, "示例、哈希或核验失败"],
  [/^every user of the host can read it$/, "主机上的所有用户可读"],
  [/^a group of users can read it$/, "一个用户组可读"],
  [/^only its owner can read it$/, "仅所有者可读"],
  [/^arguments are listed to every user$/, "命令行参数对所有用户可见"],
  [/^in a process$/, "位于进程中"],
  [/^a history is kept and copied with the home$/, "历史记录会随主目录保留和复制"],
  [/^in a file$/, "位于文件中"],
  [/^in a place of a kind unknown here$/, "位于类型未知的位置"],
  [/^a score is at most 100$/, "评分不高于 100"],
  [/^a score is at least 0$/, "评分不低于 0"],
  [/^its worst place$/, "最严重的位置"],
  [/^it has expired$/, "已到期"],
  [/^a secret store handed it over$/, "由密钥管理服务下发"],
  [/^recorded only$/, "仅记录"],
  [/^verified gone from this place$/, "已核实从该位置消除"],
  [/^not verified, so it counts as present$/, "未核实，按存在计"],
  [/^its password is needed too$/, "还需要它的口令"],
  [/^its own checksum or structure fails$/, "自身的校验和或结构不成立"],
  [/^it belongs to a known canary service$/, "属于已知的诱饵服务"],
  [/^it is or may be on (\d+) hosts$/, "存在或可能存在于 $1 台主机"],
  [/^gone here does not undo a copy: it works until it is rotated$/, "文件中已消除不代表没有被复制：轮换前仍然有效"],
  [/^people say that it is no credential$/, "已由人员判定为误报"],
  [/^(\d+) credentials are or may be on it$/, "存在或可能存在 $1 个凭据"],
];

/** The sentence in Chinese, or as it came. */
export function becauseInChinese(sentence: string): string {
  for (const [pattern, said] of chinese) if (pattern.test(sentence)) return sentence.replace(pattern, said);
  return sentence;
}

# Types a verb and a flag, half, into a zsh with a line editor, and says the verb once the flag is completed.
zmodload zsh/zpty; zpty -b shell zsh -f
read_it() { local all line; while zpty -r -t shell line; do all+=$line; done; print -r -- $all; }
zpty -w shell 'PS1=; fpath=('$1' $fpath); autoload -U compinit; compinit -u -D; print RE""ADY'
for ((i = 0; i < 200; i++)); do text+=$(read_it); [[ $text == *READY* ]] && break; sleep 0.1; done
text=
zpty -w -n shell $'akwatch-agent doc\t--n\t'
for ((i = 0; i < 100; i++)); do text+=$(read_it)
  [[ $text == *network* ]] && print doctor && exit; sleep 0.1; done; print -r -- "$text"

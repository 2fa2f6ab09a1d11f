import { render } from 'preact';

import { Admin } from './view';
import { watch } from './watch';
import '../style.css';
import './admin.css';

render(<Admin />, document.getElementById('app')!);
watch();
